// What goes wrong: one thing at a time.
#ifndef FASTCONTAINER_TESTS_SIM_FAULTS_H_
#define FASTCONTAINER_TESTS_SIM_FAULTS_H_

#include "tests/sim/cloud.h"

namespace fastcontainer::sim {

// Breaks or mends one thing; all that is random about it comes from `dice`.
void BreakSomething(Cloud& cloud, Random& dice);

}  // namespace fastcontainer::sim

#endif  // FASTCONTAINER_TESTS_SIM_FAULTS_H_
