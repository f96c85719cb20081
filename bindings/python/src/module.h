// Each subject adds its functions to the module, or its methods to the class of the engine.
#ifndef FASTCONTAINER_BINDINGS_PYTHON_SRC_MODULE_H_
#define FASTCONTAINER_BINDINGS_PYTHON_SRC_MODULE_H_

#include <pybind11/pybind11.h>

#include <memory>

#include "bindings/python/src/state.h"

namespace fastcontainer::python {

using EngineClass = py::class_<EngineState, std::shared_ptr<EngineState>>;

// Classes with Python's own metaclass, as the stub says: none of them has static properties.
inline py::metaclass Plain() { return py::metaclass(reinterpret_cast<PyObject*>(&PyType_Type)); }

void AddEngine(EngineClass& engine);
void AddRoute(py::module_& module, EngineClass& engine);
void AddCmdb(EngineClass& engine);
void AddRecord(py::module_& module);
void AddProbe(py::module_& module, EngineClass& engine);
void AddHostColumns(py::module_& module, EngineClass& engine);
void AddStore(EngineClass& engine);
void AddDispatcher(py::module_& module);

}  // namespace fastcontainer::python

#endif  // FASTCONTAINER_BINDINGS_PYTHON_SRC_MODULE_H_
