
// ---- Hints: what compilers for FPGAs are told, in the words of each; others need no words ----

// Intel's emulator has channels, but does not say INTELFPGA_CL.
# if defined(INTELFPGA_CL) || defined(cl_intel_channels)
# define PRAGMA(text) _Pragma(#text)
# define SINGLE __attribute__((max_global_work_dim(0), uses_global_work_offset(0)))
// A value is taken on every cycle.
# define PIPELINED PRAGMA(ii 1)
// Nothing is read that one of the last `distance` iterations wrote.
# define APART(distance) PRAGMA(ivdep safelen(distance))
// No iteration reads what another wrote.
# define INDEPENDENT PRAGMA(ivdep)
# elif defined(__xilinx__)
# define SINGLE
# define PIPELINED __attribute__((xcl_pipeline_loop(1)))
# define APART(distance)
# define INDEPENDENT
# else
# define SINGLE
# define PIPELINED
# define APART(distance)
# define INDEPENDENT
# endif
