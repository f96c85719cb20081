// Keys and checks of the library's records. No engine, any thread.
#include <string>

#include "bindings/python/src/module.h"

namespace fastcontainer::python {
namespace {

constexpr size_t kKeyCapacity = 1024;

std::string Key(uint32_t kind, const std::string& name) {
  char buffer[kKeyCapacity];
  const int32_t length = fc_record_key(kind, ToStr(name), buffer, sizeof(buffer));
  if (length < 0) Raise(length);
  return std::string(buffer, static_cast<size_t>(length));
}

py::tuple Name(const std::string& key) {
  char buffer[kKeyCapacity];
  uint32_t kind = 0;
  const int32_t length = fc_record_name(ToStr(key), &kind, buffer, sizeof(buffer));
  if (length < 0) Raise(length);
  return py::make_tuple(kind, std::string(buffer));
}

void Check(uint32_t kind, const std::string& name, const std::string& json) {
  fc_error error = FC_ERROR_INIT;
  int32_t code;
  {
    const py::gil_scoped_release release;
    code = fc_record_check(kind, ToStr(name), ToStr(json), &error);
  }
  if (code != FC_OK) Raise(code, &error);
}

}  // namespace

void AddRecord(py::module_& module) {
  module.def("record_key", &Key, py::arg("kind"), py::arg("name"))
      .def("record_name", &Name, py::arg("key"))
      .def("record_check", &Check, py::arg("kind"), py::arg("name"), py::arg("json"));
}

}  // namespace fastcontainer::python
