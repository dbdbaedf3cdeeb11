"""The scripts by which bash, zsh and fish ask `wotemu` what a word may be completed to.

They are click's, with two more kinds of items (`wotemu.cli.completing`): paths and parts of words. bash
splits words at ``@ = :``, too; its script joins them again, so that ``phone@field`` is one.
"""

from __future__ import annotations

BASH = r"""
_wotemu_completion() {
    local IFS=$'\n' line=${COMP_LINE:0:COMP_POINT} type value
    local word=${COMP_WORDS[COMP_CWORD]} whole words cword=$COMP_CWORD
    if [[ $line == *[\"\'\\]* ]]; then
        words=("${COMP_WORDS[@]}")
        whole=$word
    else
        IFS=$' \t\n' read -ra words <<< "$line"
        [[ $line == *[[:space:]] ]] && words+=("")
        cword=$((${#words[@]} - 1))
        whole=${words[cword]}
        [[ $word == [@=:,]* ]] && word=""
    fi
    local before=${whole%"$word"}
    before=${before%@}  # readline takes an @ as the begin of what is completed
    while IFS=, read -r type value; do
        if [[ $type == dir ]]; then
            compopt -o dirnames
            continue
        elif [[ $type == file ]]; then
            compopt -o default
            continue
        elif [[ $type == path ]]; then
            [[ $value == "~"* ]] && value="~$(printf %q "${value:1}")" || value=$(printf %q "$value")
        fi
        [[ $type == part || $value == */ ]] && compopt -o nospace
        COMPREPLY+=("${value#"$before"}")
    done < <(COMP_WORDS="${words[*]}" COMP_CWORD=$cword _WOTEMU_COMPLETE=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F _wotemu_completion wotemu
"""

ZSH = r"""
#compdef wotemu
_wotemu_completion() {
    local -a completions described parts response
    (( ! $+commands[wotemu] )) && return 1
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \
        _WOTEMU_COMPLETE=zsh_complete wotemu 2>/dev/null)}")
    for type key descr in ${response}; do
        if [[ "$type" == part || "$key" == */ ]]; then
            parts+=("$key")
        elif [[ "$type" == plain || "$type" == path ]]; then
            if [[ "$descr" == "_" ]]; then
                completions+=("$key")
            else
                described+=("$key":"$descr")
            fi
        elif [[ "$type" == dir ]]; then
            _path_files -/
        elif [[ "$type" == file ]]; then
            _path_files -f
        fi
    done
    [ -n "$described" ] && _describe -V unsorted described -U
    [ -n "$completions" ] && compadd -U -V unsorted -a completions
    [ -n "$parts" ] && compadd -U -S '' -V unsorted -a parts
    return 0
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _wotemu_completion "$@"
else
    compdef _wotemu_completion wotemu
fi
"""

FISH = r"""
function _wotemu_completion
    set -l response (env _WOTEMU_COMPLETE=fish_complete COMP_WORDS=(commandline -cp) \
        COMP_CWORD=(commandline -t) wotemu 2>/dev/null)
    for completion in $response
        set -l item (string split --max 1 "," $completion)
        switch $item[1]
            case dir
                __fish_complete_directories $item[2]
            case file
                __fish_complete_path $item[2]
            case '*'
                echo $item[2]
        end
    end
end
complete --no-files --command wotemu --arguments "(_wotemu_completion)"
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
