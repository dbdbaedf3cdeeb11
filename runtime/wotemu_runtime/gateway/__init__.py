"""The gateway role: imposes one network's conditions and applies its changes, under either engine.

`role` is what both engines share; `local` and `overlay` connect a shaper to their networks; `shaper_choice`
says which shaper can do what a plan needs.
"""
