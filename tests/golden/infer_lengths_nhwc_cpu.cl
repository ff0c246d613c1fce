// clnorm 0.1.0
// infer nhwc f32 ?x64x? +lengths
// cpu: walk=serial lanes=8 group=1 tile=1024 block=128 parts=16 resident=1048576 stream=33554432 fetch=1 baked=0

#define ROW 64
#define LANES 8
#define GROUP 1
#define WIDE 8
#define TABLE 264
#define NEAR 256
#define real float
#define reals float8
#define wide float8
#define stored float
#define stored_lanes float8
#define vstore_lanes vstore8
#define mask_lanes int8
#define LANE_NUMBERS ((int8)(0, 1, 2, 3, 4, 5, 6, 7))

// Rounding happens where it is written: sums that keep what they lose must not be rearranged or
// fused.
#pragma OPENCL FP_CONTRACT OFF

// Vectors that may stand wherever an element may.
typedef reals loose_reals __attribute__((aligned(sizeof(real))));

// ---- Parameters: `wide` holds those of WIDE channels side by side, or of the last `count` ----

wide wide_load(global const real *from, const int count)
{
    if (count == WIDE)
        return *(global const loose_reals *)from;
    real lane[WIDE];
    for (int i = 0; i < WIDE; i++)
        lane[i] = i < count ? from[i] : 0;
    return *(const loose_reals *)lane;
}

void wide_store(const wide value, global real *to, const int count)
{
    if (count == WIDE) {
        *(global loose_reals *)to = value;
        return;
    }
    real lane[WIDE];
    *(loose_reals *)lane = value;
    for (int i = 0; i < count; i++)
        to[i] = lane[i];
}

// ---- Storage: tensors hold `stored`, arithmetic is in `real`, and `reals` is LANES of them ----

typedef stored_lanes loose_stored __attribute__((aligned(sizeof(stored))));

reals load(global const stored *from)
{
    const stored_lanes bits = *(global const loose_stored *)from;
    return bits;
}

// A hint that a value is needed soon, where the compiler can pass it on: SPIR has no word for it.
// It goes to the second cache: through the first, as many loads would have to wait for a place.
# if defined(__has_builtin) && !defined(__SPIR__)
# if __has_builtin(__builtin_prefetch)
# define FETCH(from) __builtin_prefetch((const void *)(size_t)(from), 0, 2)
# endif
# endif
# ifndef FETCH
# define FETCH(from)
# endif

// The first `count` lanes; the others are zero.
reals load_some(global const stored *from, const int count)
{
    real lane[LANES];
    for (int i = 0; i < LANES; i++)
        lane[i] = i < count ? from[i] : 0;
    return *(const loose_reals *)lane;
}

stored_lanes pack(const reals value)
{
    return value;
}

void store(const reals value, global stored *to)
{
    *(global loose_stored *)to = pack(value);
}

void store_some(const reals value, global stored *to, const int count)
{
    stored lane[LANES];
    vstore_lanes(pack(value), 0, lane);
    for (int i = 0; i < count; i++)
        to[i] = lane[i];
}

// Stores past the caches where asked to, where the place is that of a vector, and where the
// compiler knows how: a tensor larger than they are would only push out what is still needed.
# ifdef __has_builtin
# if __has_builtin(__builtin_nontemporal_store)
# define STORE_PAST(value, to) __builtin_nontemporal_store(value, to)
# endif
# endif
# ifndef STORE_PAST
# define STORE_PAST(value, to) (*(to) = (value))
# endif
void stream(const reals value, global stored *to, const ulong past)
{
    if (past && (size_t)to % sizeof(stored_lanes) == 0)
        STORE_PAST(pack(value), (global stored_lanes *)to);
    else
        store(value, to);
}

mask_lanes lanes_below(const int count)
{
    return LANE_NUMBERS < count;
}

// ---- Channels last: a tile is some channels side by side, its parts are runs of rows ----

typedef struct {
    global const uint *lengths;
    ulong sample_rows;
    ulong rows, rows_step;
    ulong tile;
} extents;

ulong tile_first(const extents e)
{
    return get_group_id(0) * e.tile;
}

// The last tile takes what would not fill a vector of the next.
ulong tile_last(const extents e)
{
    return get_group_id(0) + 1 == get_num_groups(0) ? ROW : tile_first(e) + e.tile;
}

// How far ahead of use values are asked for: the next row, or, where a run is all there is, some
// lines.
ulong run_distance(const extents e)
{
    return e.tile < ROW ? ROW : NEAR;
}

// Behind a reduction the last parts are the nearest.
ulong map_part(void)
{
    return get_group_id(2);
}

reals lanes_of(const real *first)
{
    return *(const loose_reals *)first;
}

// ---- Lengths: of each sample the first `length` positions are valid ----

ulong length_of(const extents e, const ulong sample)
{
    return min((ulong)e.lengths[sample], e.sample_rows);
}

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

// Where the valid rows end that go on from `row`: there, if it is not valid itself.
ulong run_end(const extents e, const ulong row, const ulong last)
{
    const ulong sample = row / e.sample_rows;
    return clamp(sample * e.sample_rows + length_of(e, sample), row, last);
}

// ---- Normalise: y = (x - mean) * gain + shift, where gain = invstd * scale ----

typedef struct {
    global const stored *x;
    global stored *y;
    global const real *mean, *var;
    real epsilon;
    ulong past; // 1: y is stored past the caches
    ulong ahead; // how far ahead of use values are asked for
} targets;

// What the values of WIDE channels need.
typedef struct {
    wide mean;
    wide gain;
} factors;

factors factors_of(const targets t, const ulong chan, const int count)
{
    factors k;
    k.mean = wide_load(t.mean + chan, count);
    k.gain = 1 / sqrt(wide_load(t.var + chan, count) + t.epsilon);
    return k;
}

// The same in each lane, or those of channels side by side.
typedef struct {
    reals mean;
    reals gain;
} constants;

// Those of a tile's channels.
typedef struct __attribute__((aligned(sizeof(reals)))) {
    real mean[TABLE];
    real gain[TABLE];
} table;

void table_set(table *of, const uint i, const factors some)
{
    *(loose_reals *)(of->mean + i) = some.mean;
    *(loose_reals *)(of->gain + i) = some.gain;
}

void table_repeat(table *of, const uint i, const uint from)
{
    of->mean[i] = of->mean[from];
    of->gain[i] = of->gain[from];
}

constants table_get(const table *of, const uint i)
{
    constants k;
    k.mean = lanes_of(of->mean + i);
    k.gain = lanes_of(of->gain + i);
    return k;
}

reals normalise(const constants k, const reals x)
{
    reals y = (x - k.mean) * k.gain;
    return y;
}

// What is not valid.
void clear_value(const targets t, const ulong at)
{
    t.y[at] = 0;
}

void map_values(const targets t, const constants k, const ulong at)
{
    FETCH(t.x + at + t.ahead);
    const reals y = normalise(k, load(t.x + at));
    stream(y, t.y + at, t.past);
}

void map_some_values(const targets t, const constants k, const ulong at, const int count)
{
    const reals x = load_some(t.x + at, count);
    store_some(normalise(k, x), t.y + at, count);
}

// How many values come before the first whose place in memory is that of a vector.
ulong map_lead(const targets t, const ulong at)
{
    return -((size_t)(t.y + at) / sizeof(stored)) % LANES;
}

// Maps `length` values from `at` on, the first of which is of the tile's first channel. Vectors
// stand where memory has them and go through the table's columns in a circle.
void map_columns(
    const targets t, const table *of, ulong at, const ulong length, const uint circle)
{
    const ulong end = at + length;
    uint column = 0;
    column = min(map_lead(t, at), length);
    if (column > 0)
        map_some_values(t, table_get(of, 0), at, column);
    at += column;
    while (at + LANES <= end) {
        const ulong stop = min(at + (circle - column), end + 1 - LANES);
        for (; at < stop; at += LANES, column += LANES)
            map_values(t, table_get(of, column), at);
        if (column >= circle)
            column -= circle;
    }
    if (at < end)
        map_some_values(t, table_get(of, column), at, end - at);
}

// The table has the tile's channels as often as they fit, and once more for LANES - 1 columns.
void map_tile(const targets t, const extents e)
{
    const ulong chan = tile_first(e);
    const uint width = tile_last(e) - chan, circle = (TABLE - LANES + 1) / width * width;
    const ulong first = map_part() * e.rows_step, last = min(first + e.rows_step, e.rows);
    table of;
    for (uint i = 0; i < width; i += WIDE)
        table_set(&of, i, factors_of(t, chan + i, min(width - i, (uint)WIDE)));
    for (uint i = width; i < circle + LANES - 1; i++)
        table_repeat(&of, i, i - width);
    for (ulong row = first; row < last;) {
        const ulong end = run_end(e, row, last);
        if (width == ROW)
            map_columns(t, &of, row * ROW, (end - row) * ROW, circle);
        else
            for (ulong valid = row; valid < end; valid++)
                map_columns(t, &of, valid * ROW + chan, width, circle);
        const ulong next = first_row(e, end, last);
        for (row = end; row < next; row++)
            for (uint i = 0; i < width; i++)
                clear_value(t, row * ROW + chan + i);
    }
}

// ---- Kernel. Every buffer comes with an offset in elements; the local size is fixed ----

// One group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void map(
    global const stored *x, const ulong x_offset,
    global stored *y, const ulong y_offset,
    global const real *mean, const ulong mean_offset,
    global const real *var, const ulong var_offset,
    global const uint *lengths, const ulong lengths_offset,
    const ulong sample_rows,
    const ulong rows,
    const ulong rows_step,
    const ulong tile,
    const ulong past,
    const real epsilon)
{
    const extents e = {
        lengths + lengths_offset, sample_rows,
        rows, rows_step,
        tile
    };
    const targets t = {
        x + x_offset,
        y + y_offset, mean + mean_offset, var + var_offset,
        epsilon,
        past,
        run_distance(e)
    };
    map_tile(t, e);
}
