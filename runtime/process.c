#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */
#include "process.h"

#include <sys/mman.h>
#include <unistd.h>

/*
 * getpid() is a system call and costs a fifth of what running a plan may cost. A page that the
 * kernel replaces by zeros in children tells the same; where there is none, getpid() does.
 */
static unsigned char *make_mark(size_t size)
{
#ifdef MADV_WIPEONFORK
    unsigned char *const mark =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mark == MAP_FAILED)
        return NULL;
    if (madvise(mark, size, MADV_WIPEONFORK) == 0) {
        *mark = 1;
        return mark;
    }
    munmap(mark, size);
#else
    (void)size;
#endif
    return NULL;
}

struct clnorm__process clnorm__process_open(void)
{
    const long page = sysconf(_SC_PAGESIZE);
    const size_t size = page > 0 ? (size_t)page : 4096;
    return (struct clnorm__process){getpid(), make_mark(size), size};
}

int clnorm__process_is_own(const struct clnorm__process *process)
{
    return process->mark ? *process->mark != 0 : process->id == getpid();
}

void clnorm__process_close(struct clnorm__process *process)
{
    if (process->mark)
        munmap((void *)(size_t)process->mark, process->size);
    process->mark = NULL;
}
