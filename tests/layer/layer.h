/* What the files of the layer share. */
#ifndef CLNORM_LAYER_LAYER_H
#define CLNORM_LAYER_LAYER_H

#include <CL/cl_layer.h>

#include "control.h"

/* ---- control.c ---- */

/* To be called first in each entry point: the code it shall fail with, or CL_SUCCESS. context_of
 * tells whose the object is that the call works on. */
cl_int layer_enter(enum clnorm_layer_entry entry, cl_context (*context_of)(const void *object),
                   const void *object);

void layer_count(enum clnorm_layer_object object, int step);

/* ---- disguise.c ---- */

/* Answers an OpenCL query with `bytes` bytes. */
cl_int layer_answer(const void *from, size_t bytes, size_t room, void *value, size_t *size);

/* Puts the entry points that see another device in place of the driver's. */
void layer_disguise(cl_icd_dispatch *dispatch);

#endif
