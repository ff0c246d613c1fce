#if PIPELINE
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) SINGLE
#else
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
#endif
