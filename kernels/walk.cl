#if CHANNELS_FIRST
#include "channels_first.cl"
#else
#include "channels_last.cl"
#endif
#if LENGTHS
#include "lengths.cl"
#endif
