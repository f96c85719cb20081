// fc_result as Python's objects see it.
#ifndef FASTCONTAINER_BINDINGS_PYTHON_SRC_RESULTS_H_
#define FASTCONTAINER_BINDINGS_PYTHON_SRC_RESULTS_H_

#include <algorithm>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "bindings/python/src/state.h"

namespace fastcontainer::python {

// (records of (key, value, revision), revision, next, lease, lease_ttl_ns, watch_kind)
py::tuple ResultToPython(const fc_result& result);

}  // namespace fastcontainer::python

#endif  // FASTCONTAINER_BINDINGS_PYTHON_SRC_RESULTS_H_
