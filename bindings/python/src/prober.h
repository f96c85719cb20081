// The prober alone: libfastcontainer-probe's part of the C ABI.
#ifndef FASTCONTAINER_BINDINGS_PYTHON_SRC_PROBER_H_
#define FASTCONTAINER_BINDINGS_PYTHON_SRC_PROBER_H_

#include "bindings/python/src/probe_options.h"

namespace fastcontainer::python {

void AddProber(py::module_& module);

}  // namespace fastcontainer::python

#endif  // FASTCONTAINER_BINDINGS_PYTHON_SRC_PROBER_H_
