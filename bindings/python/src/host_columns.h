// The columns of fc_host_table as Python's objects see them.
#ifndef FASTCONTAINER_BINDINGS_PYTHON_SRC_HOST_COLUMNS_H_
#define FASTCONTAINER_BINDINGS_PYTHON_SRC_HOST_COLUMNS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bindings/python/src/state.h"

namespace fastcontainer::python {

// Memory of a column, for NumPy; read-only. NumPy's arrays hold it, also those that are made of them by ways
// which the package does not see.
struct HostColumn {
  const void* data;
  py::ssize_t bytes;
  std::shared_ptr<std::shared_ptr<const void>> keeper;
};

// For as long as a call lasts, or as the copy that they are of.
class HostColumns {
 public:
  explicit HostColumns(const fc_host_table* table) : table_(table) {}
  explicit HostColumns(std::shared_ptr<const fc_hosts> hosts) : table_(fc_hosts_table(hosts.get())) {
    *keeper_ = std::move(hosts);
  }

  uint32_t size() const { return table().size; }
  py::list Ids() const { return Texts(table().id); }
  py::list Zones() const { return Texts(table().zone); }
  py::str Id(uint32_t row) const;
  int64_t Row(std::string_view id) const;
  // Read-only, no copy: the library's own memory.
  HostColumn Column(const std::string& name) const;
  // Raises RuntimeError after the end.
  const fc_host_table& table() const;
  // Of the call: an array that still refers to a column keeps the memory.
  void End();

 private:
  py::list Texts(const fc_str* texts) const;

  // Of what keeps the memory; of null until the end: the call does.
  const std::shared_ptr<std::shared_ptr<const void>> keeper_ =
      std::make_shared<std::shared_ptr<const void>>();
  const fc_host_table* table_;
};

}  // namespace fastcontainer::python

#endif  // FASTCONTAINER_BINDINGS_PYTHON_SRC_HOST_COLUMNS_H_
