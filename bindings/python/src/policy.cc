// Placement policies and hooks in Python. What is wrong with an answer is judged above, in
// fastcontainer/_runner.py; whatever still comes out of there lets the built-in policy decide.
#include <string>
#include <string_view>

#include "bindings/python/src/module.h"
#include "bindings/python/src/vtables.h"

namespace fastcontainer::python {
namespace {

// The columns of fc_host_table for as long as the call lasts.
class HostColumns {
 public:
  explicit HostColumns(const fc_host_table* table) : table_(table) {}
  uint32_t size() const { return Use().size; }
  py::list Ids() const { return Texts(Use().id); }
  py::list Zones() const { return Texts(Use().zone); }
  py::str Id(uint32_t row) const {
    if (row >= Use().size) throw py::index_error("there is no such row");
    return ToPython(table_->id[row]);
  }
  int64_t Row(std::string_view id) const {
    const fc_host_table& table = Use();
    for (uint32_t row = 0; row < table.size; ++row)
      if (std::string_view(table.id[row].data, table.id[row].length) == id) return row;
    return -1;
  }
  // Read-only, no copy: the library's own memory.
  py::memoryview Column(const std::string& name) const {
    const fc_host_table& table = Use();
    if (name == "id_hash") return View(table.id_hash);
    if (name == "flags") return View(table.flags);
    if (name == "free_cpu") return View(table.free_cpu);
    if (name == "free_memory") return View(table.free_memory);
    if (name == "running") return View(table.running);
    if (name == "starting") return View(table.starting);
    if (name == "in_flight") return View(table.in_flight);
    if (name == "response_ms") return View(table.response_ms);
    if (name == "error_rate") return View(table.error_rate);
    if (name == "rtt_ms") return View(table.rtt_ms);
    if (name == "report_age_s") return View(table.report_age_s);
    throw py::key_error(name);
  }
  void End() { table_ = nullptr; }

 private:
  const fc_host_table& Use() const {
    if (table_ == nullptr) throw std::runtime_error("the host table is valid during the policy's call only");
    return *table_;
  }
  py::list Texts(const fc_str* texts) const {
    py::list list;
    for (uint32_t i = 0; i < table_->size; ++i) list.append(ToPython(texts[i]));
    return list;
  }
  template <typename T>
  py::memoryview View(const T* column) const {
    return py::memoryview::from_memory(column, static_cast<py::ssize_t>(sizeof(T) * table_->size));
  }
  const fc_host_table* table_;
};

py::tuple Asked(const fc_place_request& request) {
  return py::make_tuple(ToPython(request.container), request.container_hash, request.replica, request.cpu,
                        request.memory, ToPython(request.avoid_host));
}

int32_t Place(void* user_data, const fc_place_request* request, const fc_host_table* hosts,
              uint32_t* candidates, uint32_t capacity) {
  int32_t count = FC_E_INVALID;
  InPython("fastcontainer policy", [&] {
    const Answering answering;
    auto columns = std::make_shared<HostColumns>(hosts);
    struct AtTheEnd {
      HostColumns& columns;
      ~AtTheEnd() { columns.End(); }
    } const at_the_end{*columns};
    const py::object answer = Kept(user_data).attr("place")(Asked(*request), columns, capacity);
    if (py::isinstance<py::int_>(answer)) {
      count = answer.cast<int32_t>();
      return;
    }
    uint32_t written = 0;
    for (const py::handle row : answer) {
      if (written == capacity) break;
      candidates[written++] = row.cast<uint32_t>();
    }
    count = static_cast<int32_t>(written);
  });
  return count;
}

int32_t Event(void* user_data, const fc_hook_event* event) {
  int32_t code = FC_E_VETO;  // what cannot be told must not be taken for told
  InPython("fastcontainer hook", [&] {
    const Answering answering;
    const py::object allowed = Kept(user_data).attr("event")(
        event->point, ToPython(event->container), ToPython(event->host), ToPython(event->from_host),
        ToPython(event->reason), event->epoch, event->replica);
    if (allowed.cast<bool>()) code = FC_OK;
  });
  return code;
}

}  // namespace

const fc_policy_vtable kPolicy = {sizeof(fc_policy_vtable), 0, &Place, &Drop};
const fc_hooks_vtable kHooks = {sizeof(fc_hooks_vtable), 0, &Event, &Drop};

void AddPolicy(py::module_& module) {
  py::class_<HostColumns, std::shared_ptr<HostColumns>>(module, "HostColumns", Plain())
      .def("__len__", &HostColumns::size)
      .def("ids", &HostColumns::Ids)
      .def("zones", &HostColumns::Zones)
      .def("id", &HostColumns::Id, py::arg("row"))
      .def("row", &HostColumns::Row, py::arg("id"))
      .def("column", &HostColumns::Column, py::arg("name"));
}

}  // namespace fastcontainer::python
