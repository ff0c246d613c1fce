/* training.h: one epoch of one network, and how good it is afterwards. */
#ifndef TRAINING_H
#define TRAINING_H

#include "network.h"

/* Points of the loss curve an epoch. */
enum { POINTS = 20 };

struct epoch {
    double loss;           /* mean over the epoch, while training */
    double points[POINTS]; /* the same for each twentieth of it */
    double seconds;        /* of training alone */
    double accuracy
        [2]; /* on test images, by enum statistics; the same twice without batch normalization */
};

/* The steps of an epoch. `title` goes before the progress on standard error; NULL: there is none. */
void training_steps(struct network *network, const struct dataset *train, double rate,
                    const char *title);

/* Loss and points of the `count` images of the steps just made. */
void training_losses(const struct network *network, size_t count, struct epoch *epoch);

/* The part of the images that the network classifies as they are labelled. */
double training_accuracy(struct network *network, const struct dataset *dataset,
                         enum statistics statistics);

/* All of it. */
struct epoch training_epoch(struct network *network, const struct dataset *train,
                            const struct dataset *test, double rate, const char *title);

#endif
