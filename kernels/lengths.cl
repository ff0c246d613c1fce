
// ---- Lengths: of each sample the first `length` positions are valid ----

ulong length_of(const extents e, const ulong sample)
{
#if CHANNELS_FIRST
    return min((ulong)e.lengths[sample], e.spatial);
#else
    return min((ulong)e.lengths[sample], e.sample_rows);
#endif
}
#if CHANNELS_FIRST && !GROUP_WALK

// How many of the positions from `first` to `last` of a sample are valid.
ulong row_length(const extents e, const ulong sample, const ulong first, const ulong last)
{
    return clamp(length_of(e, sample), first, last) - first;
}
#endif
#if CHANNELS_FIRST && REDUCE

// The first of the samples from `first` to `last` that has a valid position from `position` on;
// `last` for none.
ulong first_sample(
    const extents e, const ulong first, const ulong last, const ulong position)
{
    ulong n = first;
    while (n < last && length_of(e, n) <= position)
        n++;
    return n;
}
#endif
#if !CHANNELS_FIRST

// The first valid row from `first` on; `last` for none before.
ulong first_row(const extents e, const ulong first, const ulong last)
{
    ulong row = first, sample = first / e.sample_rows;
    while (row < last && row - sample * e.sample_rows >= length_of(e, sample)) {
        sample++;
        row = sample * e.sample_rows;
    }
    return min(row, last);
}
#if GROUP_WALK

int row_is_valid(const extents e, const ulong row)
{
    return row % e.sample_rows < length_of(e, row / e.sample_rows);
}
#else

// Where the valid rows end that go on from `row`: there, if it is not valid itself.
ulong run_end(const extents e, const ulong row, const ulong last)
{
    const ulong sample = row / e.sample_rows;
    return clamp(sample * e.sample_rows + length_of(e, sample), row, last);
}
#endif
#endif
