/* A folder for this run only. */
#ifndef CLNORM_TOOLS_SCRATCH_H
#define CLNORM_TOOLS_SCRATCH_H

#define SCRATCH_PATH_SIZE 1024

/* Makes a new empty folder under TMPDIR or /tmp, for this user only. Prints fail's line and returns
 * the exit status. */
int scratch_make(char path[SCRATCH_PATH_SIZE]);

/* path/name */
void scratch_join(char joined[SCRATCH_PATH_SIZE], const char *path, const char *name);

/* Removes the folder and all in it. */
void scratch_remove(const char *path);

#endif
