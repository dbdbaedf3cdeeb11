"""Names of the formats that can be imported. Apart from their readers: the help needs no more."""

FORMAT_NAMES = {
    "mahimahi": "delivery opportunities of mm-link (also *.pps)",
    "csv": "any table, with --column for each column",
    "irtt": "JSON of irtt client -o",
    "ping": "output of ping: iputils (-D too), busybox",
    "iperf3": "JSON of iperf3 --json",
    "ntrace": "LPP Network Trace Format (W3C Web & Networks)",
    "errant": "log of ERRANT",
    "nyu-mets": "LTE rates of New York",
    "ucc-5g": "5G of University College Cork",
    "ghent": "4G of Ghent, and 3G of Oslo (HSDPA)",
    "pensieve": "seconds and Mbit/s, as Pensieve takes them",
    "theaterq": "trace file of TheaterQ, simple or extended",
    "phantomlink": "scenario of phantomlink",
    "lens-irtt": "Starlink, LENS: processed irtt CSV",
    "lens-ping": "Starlink, LENS: processed ping CSV",
}
