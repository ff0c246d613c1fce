#if BOUNDED
// The tensor's channels: CHANNELS is their bound.
#else
// The tensor's channels.
#endif
ulong channels_of(const extents e)
{
#if BOUNDED
    return e.channels;
#else
    return CHANNELS;
#endif
}
