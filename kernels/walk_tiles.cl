#if SUBGROUP && REDUCE
#include "fold_subgroup.cl"
#elif SCRATCH && REDUCE
#include "fold.cl"
#endif
#if PIPELINE
#include "pipeline.cl"
#endif
#if CHANNELS_FIRST && PIPELINE
#include "channels_first_pipeline.cl"
#elif CHANNELS_FIRST && GROUP_WALK
#include "channels_first_group.cl"
#elif CHANNELS_FIRST
#include "channels_first_serial.cl"
#elif PIPELINE
#include "channels_last_pipeline.cl"
#elif GROUP_WALK
#include "channels_last_group.cl"
#else
#include "channels_last_serial.cl"
#endif
#include "fuse.cl"
