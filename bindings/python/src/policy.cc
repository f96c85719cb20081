// Placement policies and hooks in Python. What is wrong with an answer is judged above, in
// fastcontainer/_runner.py; whatever still comes out of there lets the built-in policy decide.
#include <memory>

#include "bindings/python/src/host_columns.h"
#include "bindings/python/src/vtables.h"

namespace fastcontainer::python {
namespace {

py::tuple Asked(const fc_place_request& request) {
  return py::make_tuple(ToPython(request.container), request.container_hash, request.replica, request.cpu,
                        request.memory, ToPython(request.avoid_host), ToPython(request.class_name));
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

}  // namespace fastcontainer::python
