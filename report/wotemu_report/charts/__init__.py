"""Charts: one theme and palette, one time axis with phases, marks for series; a layer holds its rows."""
