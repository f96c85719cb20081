// The store is put back to an older copy, and what an operator does then.
#ifndef FASTCONTAINER_TESTS_SIM_RESTORE_H_
#define FASTCONTAINER_TESTS_SIM_RESTORE_H_

#include "tests/sim/cloud.h"

namespace fastcontainer::sim {

// What the store's own tools do.
void GoBack(Cloud& cloud, const MemoryStore& backup);
// What "fcctl restored" does (docs/protocol.md, "A store that went back").
void Restored(Cloud& cloud);

}  // namespace fastcontainer::sim

#endif  // FASTCONTAINER_TESTS_SIM_RESTORE_H_
