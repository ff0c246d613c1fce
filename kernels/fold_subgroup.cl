
// ---- Fold: the records of a work-group's items become TILE records: by shuffles within sub-groups,
// then in local memory across them, both in an order that is fixed ----

// Which item is where in which sub-group is the device's choice: they are numbered by that.
uint group_item(void)
{
    return get_sub_group_id() * get_max_sub_group_size() + get_sub_group_local_id();
}

record fold(const record r, const uint distance)
{
    return record_merge(r, record_shuffle(r, distance));
}

// The compiler knows how many items its sub-groups have, and leaves out what is longer.
record fold_sub_group(record r)
{
    const uint size = get_max_sub_group_size();
#if FOLD_64
    if (size > 64)
        r = fold(r, 64);
#endif
#if FOLD_32
    if (size > 32)
        r = fold(r, 32);
#endif
#if FOLD_16
    if (size > 16)
        r = fold(r, 16);
#endif
#if FOLD_8
    if (size > 8)
        r = fold(r, 8);
#endif
#if FOLD_4
    if (size > 4)
        r = fold(r, 4);
#endif
#if FOLD_2
    if (size > 2)
        r = fold(r, 2);
#endif
#if FOLD_1
    if (size > 1)
        r = fold(r, 1);
#endif
    return r;
}

// The record of each item below TILE is that of its channel.
record fold_group(local record *scratch, const uint item, const record r)
{
    const uint size = get_max_sub_group_size(), kept = min(size, (uint)TILE);
    const uint count = get_num_sub_groups() * kept;
    const record mine = fold_sub_group(r);
    if (get_sub_group_local_id() < kept)
        scratch[get_sub_group_id() * kept + get_sub_group_local_id()] = mine;
    barrier(CLK_LOCAL_MEM_FENCE);
    record total = record_none();
    for (uint i = item; i < count; i += max(size, (uint)TILE))
        total = record_merge(total, scratch[i]);
    return fold_sub_group(total);
}
