#include "bindings/python/src/host_columns.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bindings/python/src/module.h"

namespace fastcontainer::python {
namespace {

// (hosts) or None: the loop did not run within `patience_ns`, or the engine is closed.
std::shared_ptr<HostColumns> Hosts(EngineState& state, uint64_t patience_ns) {
  const py::gil_scoped_release release;
  std::shared_ptr<const fc_hosts> hosts = state.AwaitHosts(std::chrono::nanoseconds(patience_ns));
  return hosts == nullptr ? nullptr : std::make_shared<HostColumns>(std::move(hosts));
}

// False: the engine is closed. `scores` are doubles, one for each of `columns`, or None.
bool SetScores(EngineState& state, const std::string& class_name, const HostColumns& columns,
               const py::object& scores, uint64_t valid_ns) {
  fc_error error = FC_ERROR_INIT;
  int32_t code = FC_OK;
  bool open;
  const auto set = [&](const double* values, uint32_t count) {
    const fc_str* const ids = columns.table().id;
    const py::gil_scoped_release release;
    open = state.SetScores(ToStr(class_name), ids, values, count, valid_ns, &code, &error);
  };
  if (scores.is_none()) {
    set(nullptr, 0);
  } else {
    const py::buffer_info values = scores.cast<py::buffer>().request();
    if (values.format != py::format_descriptor<double>::format() || values.ndim != 1 ||
        values.strides[0] != static_cast<py::ssize_t>(sizeof(double)) || values.size != columns.size())
      throw py::value_error("scores are doubles, one for each host");
    set(static_cast<const double*>(values.ptr), columns.size());
  }
  if (code != FC_OK) Raise(code, &error);
  return open;
}

std::shared_ptr<HostColumns> HostsNow(EngineState& state) {
  fc_hosts* hosts = nullptr;
  fc_engine* const engine = state.Use();
  int32_t code;
  {
    const py::gil_scoped_release release;
    code = fc_engine_hosts(engine, &hosts);
  }
  if (code != FC_OK) Raise(code, nullptr);
  return std::make_shared<HostColumns>(std::shared_ptr<const fc_hosts>(hosts, &fc_hosts_release));
}

// False: the engine is closed. An empty dictionary removes the table.
bool SetScoresByName(EngineState& state, const std::string& class_name, const py::dict& scores,
                     uint64_t valid_ns) {
  std::vector<std::string> names;
  std::vector<double> values;
  for (const auto& [host, score] : scores) {
    names.push_back(host.cast<std::string>());
    values.push_back(score.cast<double>());
  }
  std::vector<fc_str> ids;
  for (const std::string& name : names) ids.push_back(ToStr(name));
  fc_error error = FC_ERROR_INIT;
  int32_t code = FC_OK;
  bool open;
  {
    const py::gil_scoped_release release;
    open = state.SetScores(ToStr(class_name), ids.data(), values.data(), static_cast<uint32_t>(ids.size()),
                           valid_ns, &code, &error);
  }
  if (code != FC_OK) Raise(code, &error);
  return open;
}

}  // namespace

const fc_host_table& HostColumns::table() const {
  if (table_ == nullptr) throw std::runtime_error("the host table is valid during the policy's call only");
  return *table_;
}

py::str HostColumns::Id(uint32_t row) const {
  if (row >= table().size) throw py::index_error("there is no such row");
  return ToPython(table_->id[row]);
}

int64_t HostColumns::Row(std::string_view id) const {
  const fc_host_table& all = table();
  const auto view = [](const fc_str& text) { return std::string_view(text.data, text.length); };
  const fc_str* const end = all.id + all.size;
  const fc_str* const found = std::lower_bound(
      all.id, end, id, [&view](const fc_str& one, std::string_view wanted) { return view(one) < wanted; });
  return found != end && view(*found) == id ? found - all.id : -1;
}

HostColumn HostColumns::Column(const std::string& name) const {
  const fc_host_table& all = table();
  const auto view = [&](const auto* column) {
    return HostColumn{column, static_cast<py::ssize_t>(sizeof(*column) * all.size), keeper_};
  };
  if (name == "id_hash") return view(all.id_hash);
  if (name == "flags") return view(all.flags);
  if (name == "free_cpu") return view(all.free_cpu);
  if (name == "free_memory") return view(all.free_memory);
  if (name == "running") return view(all.running);
  if (name == "starting") return view(all.starting);
  if (name == "in_flight") return view(all.in_flight);
  if (name == "response_ms") return view(all.response_ms);
  if (name == "error_rate") return view(all.error_rate);
  if (name == "rtt_ms") return view(all.rtt_ms);
  if (name == "report_age_s") return view(all.report_age_s);
  throw py::key_error(name);
}

void HostColumns::End() {
  const fc_host_table* const ended = std::exchange(table_, nullptr);
  if (ended != nullptr && *keeper_ == nullptr && keeper_.use_count() > 1)
    *keeper_ = std::shared_ptr<fc_columns>(fc_host_table_keep(ended), &fc_columns_release);
}

py::list HostColumns::Texts(const fc_str* texts) const {
  py::list list;
  for (uint32_t i = 0; i < table_->size; ++i) list.append(ToPython(texts[i]));
  return list;
}

void AddHostColumns(py::module_& module, EngineClass& engine) {
  py::class_<HostColumn>(module, "HostColumn", py::buffer_protocol(), Plain())
      .def_buffer([](const HostColumn& column) {
        return py::buffer_info(static_cast<const unsigned char*>(column.data), column.bytes, true);
      });
  py::class_<HostColumns, std::shared_ptr<HostColumns>>(module, "HostColumns", Plain())
      .def("__len__", &HostColumns::size)
      .def("ids", &HostColumns::Ids)
      .def("zones", &HostColumns::Zones)
      .def("id", &HostColumns::Id, py::arg("row"))
      .def("row", &HostColumns::Row, py::arg("id"))
      .def("column", &HostColumns::Column, py::arg("name"));
  engine.def("hosts", &Hosts, py::arg("patience_ns"))
      .def("set_scores", &SetScores, py::arg("class_name"), py::arg("columns"), py::arg("scores"),
           py::arg("valid_ns"))
      .def("hosts_now", &HostsNow)
      .def("set_scores_by_name", &SetScoresByName, py::arg("class_name"), py::arg("scores"),
           py::arg("valid_ns"));
}

}  // namespace fastcontainer::python
