// clnorm 0.1.0
// update nchw f32 ?x64x? +scale +shift +adam
// gpu: walk=group lanes=1 group=256 tile=1 block=32 parts=128 resident=131072 stream=0 fetch=0 baked=0

#define CHANNELS 64
#define FINISH_GROUP 64
#define WIDE 1
#define STATES 2
#define real float
#define reals float
#define wide float

// Rounding happens where it is written: sums that keep what they lose must not be rearranged or
// fused.
#pragma OPENCL FP_CONTRACT OFF

// Vectors that may stand wherever an element may.
typedef reals loose_reals __attribute__((aligned(sizeof(real))));

// ---- Parameters: `wide` holds those of WIDE channels side by side, or of the last `count` ----

wide wide_load(global const real *from, const int count)
{
    return *from;
}

void wide_store(const wide value, global real *to, const int count)
{
    *to = value;
}

// ---- Optimiser: one step for the parameters of `count` channels ----

typedef struct {
    real learning_rate, weight_decay, weight1, weight2, correction1, correction2, adam_epsilon;
} optimiser;

// Kingma and Ba, "Adam: a method for stochastic optimization" (2014), algorithm 1. Weights are
// 1 - beta and corrections 1 / (1 - beta^step), from the host: here they would lose digits.
void optimise(
    const optimiser by, global real *parameter, const wide gradient, global real *state,
    const int count)
{
    const wide value = wide_load(parameter, count);
    const wide slope = gradient + by.weight_decay * value;
    const wide first_before = wide_load(state, count);
    const wide second_before = wide_load(state + CHANNELS, count);
    const wide first = first_before + by.weight1 * (slope - first_before);
    const wide second = second_before + by.weight2 * (slope * slope - second_before);
    wide_store(first, state, count);
    wide_store(second, state + CHANNELS, count);
    const wide root = sqrt(second * by.correction2) + by.adam_epsilon;
    wide_store(value - by.learning_rate * (first * by.correction1) / root, parameter, count);
}

// ---- Kernel. Every buffer comes with an offset in elements; the local size is fixed ----

// One work-item for WIDE channels.
kernel __attribute__((reqd_work_group_size(FINISH_GROUP, 1, 1), vec_type_hint(wide)))
void finish(
    global real *scale, const ulong scale_offset,
    global const real *dscale, const ulong dscale_offset,
    global real *shift, const ulong shift_offset,
    global const real *dshift, const ulong dshift_offset,
    const real learning_rate, const real weight_decay, const real weight1, const real weight2,
    const real correction1, const real correction2, const real adam_epsilon,
    global real *state, const ulong state_offset)
{
    const optimiser by = {
        learning_rate, weight_decay, weight1, weight2, correction1, correction2, adam_epsilon
    };
    const ulong chan = get_global_id(0) * WIDE;
    if (chan < CHANNELS) {
        const int count = min(CHANNELS - chan, (ulong)WIDE);
        global real *at = state + state_offset + chan;
        const wide scale_gradient = wide_load(dscale + dscale_offset + chan, count);
        optimise(by, scale + scale_offset + chan, scale_gradient, at, count);
        at += (ulong)STATES * CHANNELS;
        const wide shift_gradient = wide_load(dshift + dshift_offset + chan, count);
        optimise(by, shift + shift_offset + chan, shift_gradient, at, count);
    }
}
