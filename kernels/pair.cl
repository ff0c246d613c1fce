
// ---- Pairs: a number as the nearest real and the rest it lacks ----
#if !BACKWARD

// What a + b lost when it was rounded to sum, exactly (Knuth, The Art of Computer Programming 2,
// section 4.2.2).
wide lost(const wide a, const wide b, const wide sum)
{
    const wide t = sum - a;
    return (a - (sum - t)) + (b - t);
}
#endif
#if REDUCE

// Adds a value to the pair (sum, rest) in each lane.
void pair_add(reals *sum, reals *rest, const reals value)
{
    const reals next = *sum + value, t = next - *sum;
    *rest += (*sum - (next - t)) + (value - t);
    *sum = next;
}
#endif
