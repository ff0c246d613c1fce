#if PIPELINE
kernel __attribute__((reqd_work_group_size(FINISH_GROUP, 1, 1))) SINGLE
#else
kernel __attribute__((reqd_work_group_size(FINISH_GROUP, 1, 1), vec_type_hint(wide)))
#endif
