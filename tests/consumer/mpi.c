/* A program that uses the installed component mpi: what MPI has not begun cannot be used. */
#include <clnorm/mpi.h>

#include <string.h>

int main(void)
{
    struct clnorm_mpi *mpi = NULL;
    char message[160] = "";
    const enum clnorm_status status =
        clnorm_mpi_create(MPI_COMM_WORLD, 1, &mpi, message, sizeof message);
    return status == CLNORM_INVALID_ARGUMENT && !mpi && strstr(message, "MPI_Init") ? 0 : 1;
}
