#if REDUCE

// ---- Pipeline: tallies take values in turn, so that no add waits for the one before ----

// Merges the open blocks of tallies that took `adds` values in turn.
void tallies_close(tally *t, const ulong adds)
{
    PIPELINED
    for (uint slot = 0; slot < SLOTS; slot++)
        tally_close(&t[slot], adds / SLOTS + (slot < adds % SLOTS));
}

// What closed tallies have together: a tree of fixed shape.
record tallies_fold(const tally *t)
{
    record r[SLOTS];
    PIPELINED
    for (uint slot = 0; slot < SLOTS; slot++)
        r[slot] = tally_total(&t[slot]);
    for (uint distance = SLOTS / 2; distance > 0; distance /= 2) {
        INDEPENDENT PIPELINED
        for (uint slot = 0; slot < distance; slot++)
            r[slot] = record_merge(r[slot], r[slot + distance]);
    }
    return r[0];
}
#endif
