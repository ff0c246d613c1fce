
// All sub-batches, whose sums are `each` sets: of the last one those that are left.
void finish_ghosts(
    const results r, global const real *parts, const ulong sets, const ulong ghosts,
    const ulong each, const ulong chan, const int count)
{
    results result = r;
    for (ulong ghost = 0; ghost < ghosts; ghost++) {
        const ulong first = min(ghost * each, sets);
        finish_channels(result, parts + first * SET, min(each, sets - first), chan, count);
        results_next(&result);
    }
}
