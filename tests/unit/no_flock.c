/* A preload in place of a file system: without flock, or with one of a single machine's own. */
#include <errno.h>
#include <stdlib.h>

int flock(int descriptor, int operation)
{
    (void)descriptor;
    (void)operation;
    if (getenv("LETS_ALL_IN"))
        return 0;
    errno = ENOSYS;
    return -1;
}
