// fastcontainer._core: the C ABI as it is, with callbacks, nanoseconds and numbers. The package above makes
// it Python's.
#include "bindings/python/src/module.h"

#include <fastcontainer.h>

PYBIND11_MODULE(_core, module) {
  namespace python = fastcontainer::python;
  module.def("version", [] { return fc_version(); });
  module.def(
      "code_name", [](int32_t code) { return fc_code_name(code); }, pybind11::arg("code"));
  python::EngineClass engine(module, "Engine", python::Plain());
  python::AddEngine(engine);
  python::AddRoute(module, engine);
  python::AddCmdb(engine);
  python::AddRecord(module);
  python::AddProbe(module, engine);
  python::AddHostColumns(module, engine);
  python::AddStore(engine);
  python::AddDispatcher(module);
}
