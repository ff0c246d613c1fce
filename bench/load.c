#define _POSIX_C_SOURCE 200809L
#include "load.h"

#include "contestant.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The first line of /proc/stat (proc(5)): ticks of all cores in user, nice, system, idle, iowait,
 * irq, softirq and steal. */
static double busy_seconds(void)
{
    double ticks[8] = {0};
    FILE *const file = fopen("/proc/stat", "r");
    if (!file)
        return 0;
    const int read = fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &ticks[0], &ticks[1],
                            &ticks[2], &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]);
    fclose(file);
    const double busy = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7];
    return read == 8 ? busy / (double)sysconf(_SC_CLK_TCK) : 0;
}

/* utime and stime, the 14th and 15th field of /proc/PID/stat; the second may hold blanks, and ends
 * with the last bracket. */
static double process_seconds(const pid_t process)
{
    char path[64], line[1024] = "";
    double user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)process);
    FILE *const file = fopen(path, "r");
    if (!file)
        return 0;
    const char *const read = fgets(line, sizeof line, file);
    fclose(file);
    const char *const fields = read ? strrchr(line, ')') : NULL;
    if (!fields || sscanf(fields, ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lf %lf", &user,
                          &system) != 2)
        return 0;
    return (user + system) / (double)sysconf(_SC_CLK_TCK);
}

struct bench_load bench_load_now(const pid_t peer)
{
    return (struct bench_load){
        .all = busy_seconds(),
        .own = process_seconds(getpid()) + (peer ? process_seconds(peer) : 0),
        .when = bench_now(),
    };
}

double bench_load_others(const struct bench_load before, const struct bench_load after)
{
    const double others = (after.all - before.all) - (after.own - before.own);
    const double time = after.when - before.when;
    /* ticks are coarse: less than a few of them is nothing */
    return time > 0 && others > 0.03 ? others / time : 0;
}
