/*
 * What test_gpu_isa.py gives clang for texts that fold by sub-groups or collective functions: libclc has neither for
 * amdgcn and nvptx64. Sub-groups are the processor's own, and a shuffle is its own instruction. The collective
 * functions are a stand-in: a loop over local memory, some 8 KiB of it that no report counts. A driver's own take
 * other registers. For spir64 all of these stay calls, which the consumer of the module resolves.
 */
#if defined(__NVPTX__) || defined(__AMDGCN__)
#define INLINE static __attribute__((always_inline, overloadable, unused))

#ifdef __NVPTX__
#define SUB_GROUP             32
#define LANE                  __nvvm_read_ptx_sreg_laneid()
#define EXCHANGE(value, mask) __nvvm_shfl_sync_bfly_i32(~0u, value, mask, 31)
#elif __AMDGCN_WAVEFRONT_SIZE == 64
#define SUB_GROUP             64
#define LANE                  __builtin_amdgcn_mbcnt_hi(~0u, __builtin_amdgcn_mbcnt_lo(~0u, 0))
#define EXCHANGE(value, mask) __builtin_amdgcn_ds_bpermute((LANE ^ (mask)) << 2, value)
#else
#define SUB_GROUP             32
#define LANE                  __builtin_amdgcn_mbcnt_lo(~0u, 0)
#define EXCHANGE(value, mask) __builtin_amdgcn_ds_bpermute((LANE ^ (mask)) << 2, value)
#endif

INLINE float exchange(float value, uint mask)
{
    return as_float(EXCHANGE(as_int(value), mask));
}

INLINE double exchange(double value, uint mask)
{
    const int2 bits = as_int2(value);
    return as_double((int2)(EXCHANGE(bits.x, mask), EXCHANGE(bits.y, mask)));
}

#define get_max_sub_group_size()           ((uint)SUB_GROUP)
#define get_sub_group_id()                 ((uint)get_local_id(0) / SUB_GROUP)
#define get_sub_group_local_id()           ((uint)LANE)
#define get_num_sub_groups()               max((uint)GROUP / SUB_GROUP, 1u)
#define sub_group_shuffle_xor(value, mask) exchange(value, mask)

/* OpenCL C has no local variable outside a kernel; the texts that call these have none inside, either. */
#define SCRATCH(type) ((local type *)64)

#define COLLECTIVES(type)                                                                          \
    INLINE type broadcast_in_group(type value, uint from)                                          \
    {                                                                                              \
        barrier(CLK_LOCAL_MEM_FENCE);                                                              \
        SCRATCH(type)[get_local_id(0)] = value;                                                    \
        barrier(CLK_LOCAL_MEM_FENCE);                                                              \
        return SCRATCH(type)[from];                                                                \
    }                                                                                              \
                                                                                                   \
    INLINE type sum_of_group(type value, uint size)                                                \
    {                                                                                              \
        type sum = broadcast_in_group(value, 0);                                                   \
        for (uint i = 1; i < size; i++)                                                            \
            sum += SCRATCH(type)[i];                                                               \
        return sum;                                                                                \
    }
COLLECTIVES(float)
COLLECTIVES(double)

#define work_group_broadcast(value, from) broadcast_in_group(value, from)
#define work_group_reduce_add(value)      sum_of_group(value, GROUP)
#endif
