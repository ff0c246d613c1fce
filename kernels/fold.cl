
// ---- Fold: the records of a work-group's items become TILE records, in a tree of fixed shape ----

void fold(local record *scratch, const uint item, const uint distance)
{
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item < distance)
        scratch[item] = record_merge(scratch[item], scratch[item + distance]);
}

// The record of each item below TILE is that of its channel. A straight line, so that every work-item
// meets the same barriers.
record fold_group(local record *scratch, const uint item, const record r)
{
    scratch[item] = r;
#if FOLD_512
    fold(scratch, item, 512);
#endif
#if FOLD_256
    fold(scratch, item, 256);
#endif
#if FOLD_128
    fold(scratch, item, 128);
#endif
#if FOLD_64
    fold(scratch, item, 64);
#endif
#if FOLD_32
    fold(scratch, item, 32);
#endif
#if FOLD_16
    fold(scratch, item, 16);
#endif
#if FOLD_8
    fold(scratch, item, 8);
#endif
#if FOLD_4
    fold(scratch, item, 4);
#endif
#if FOLD_2
    fold(scratch, item, 2);
#endif
#if FOLD_1
    fold(scratch, item, 1);
#endif
    return scratch[item];
}
