// Routes and their tickets.
#include <string>

#include "bindings/python/src/address.h"
#include "bindings/python/src/module.h"

namespace fastcontainer::python {
namespace {

// Copies what fc_ticket points to: Python keeps a ticket for longer than it is open.
class Ticket {
 public:
  Ticket(std::shared_ptr<EngineState> state, const fc_ticket& ticket)
      : fields(ticket),
        address(CopyAddress(ticket.address, ticket.address_length)),
        container(ticket.container.data, ticket.container.length),
        host(ticket.host.data, ticket.host.length),
        state_(std::move(state)) {}
  ~Ticket() {
    if (open_) state_->Orphan(fields.id);
  }
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

  bool open() const { return open_ && !state_->closed(); }
  // A ticket ends once; later ends say nothing.
  void End(uint32_t outcome, uint64_t sent, uint64_t received, uint64_t duration_ns) {
    if (!open_) return;
    if (state_->closed()) {
      open_ = false;
      return;
    }
    fc_engine* const engine = state_->Use();
    open_ = false;
    const fc_outcome how{sizeof(fc_outcome), outcome, sent, received, duration_ns};
    {
      const py::gil_scoped_release release;
      fc_ticket_end(engine, fields.id, &how);
    }
    state_->Unwatch(fields.id);
  }
  void Alive() {
    if (!open()) return;
    fc_engine* const engine = state_->Use();
    const py::gil_scoped_release release;
    fc_ticket_alive(engine, fields.id);
  }
  EngineState& state() const { return *state_; }
  void Over() {
    open_ = false;
    state_->Unwatch(fields.id);
  }

  fc_ticket fields;
  Address address;
  std::string container, host;

 private:
  std::shared_ptr<EngineState> state_;
  bool open_ = true;
};

py::object MakeTicket(EngineState* state, const fc_ticket& ticket) {
  return py::cast(std::make_unique<Ticket>(state->shared_from_this(), ticket));
}

void OnLost(void* user_data, uint64_t ticket, uint32_t reason) {
  InPython("fastcontainer on_lost", [&] {
    const py::object function = static_cast<Call*>(user_data)->on_lost;
    if (function) function(ticket, reason);
  });
}

void OnRoute(void* user_data, int32_t code, const fc_ticket* ticket, const fc_error* error) {
  InPython("fastcontainer route", [&] {
    auto* const call = static_cast<Call*>(user_data);
    EngineState* const state = call->state;
    std::unique_ptr<Call> owned = state->Finish(call);
    if (code != FC_OK) {
      owned->callback(MakeError(code, error), py::none());
      return;
    }
    const py::object made = MakeTicket(state, *ticket);
    const py::object callback = std::move(owned->callback);  // it holds the ticket, and must not live as long
    if (owned->on_lost) state->Watch(ticket->id, std::move(owned));
    callback(py::none(), made);
  });
}

// The ticket, if the route is known; else an operation's number, and `callback` gets (error, ticket).
template <typename Submit>
py::object Begin(EngineState& state, py::object callback, py::object on_lost, uint64_t wait_ns, bool stream,
                 Submit submit) {
  fc_engine* const engine = state.Use();
  auto call = std::make_unique<Call>(&state, std::move(callback));
  fc_route_options options{sizeof(fc_route_options), stream ? FC_ROUTE_STREAM : 0u, wait_ns, nullptr,
                           nullptr};
  if (!on_lost.is_none()) {
    call->on_lost = std::move(on_lost);
    options.on_lost = &OnLost;
    options.on_lost_user_data = call.get();
  }
  fc_ticket ticket = FC_TICKET_INIT;
  fc_op op = 0;
  int32_t code;
  {
    const py::gil_scoped_release release;
    code = submit(engine, &options, &ticket, &op, call.get());
  }
  if (code != FC_OK) return py::int_(state.Began(code, op, std::move(call)));
  call->callback = py::object();
  if (call->on_lost) state.Watch(ticket.id, std::move(call));
  return MakeTicket(&state, ticket);
}

py::object Route(EngineState& state, const std::string& key, py::object callback, uint64_t wait_ns,
                 bool stream, py::object on_lost) {
  return Begin(
      state, std::move(callback), std::move(on_lost), wait_ns, stream,
      [&key](fc_engine* engine, const fc_route_options* options, fc_ticket* ticket, fc_op* op, Call* call) {
        return fc_route(engine, ToStr(key), options, ticket, op, &OnRoute, call);
      });
}

py::object Retry(Ticket& last, py::object callback, uint32_t outcome, bool bytes_written, bool idempotent,
                 bool body_held, bool response_begun, uint64_t wait_ns, bool stream, py::object on_lost) {
  const fc_attempt attempt{sizeof(fc_attempt), outcome, bytes_written, idempotent, body_held, response_begun};
  EngineState& state = last.state();
  state.Use();
  const uint64_t id = last.fields.id;
  last.Over();
  return Begin(
      state, std::move(callback), std::move(on_lost), wait_ns, stream,
      [&](fc_engine* engine, const fc_route_options* options, fc_ticket* ticket, fc_op* op, Call* call) {
        return fc_ticket_retry(engine, id, &attempt, options, ticket, op, &OnRoute, call);
      });
}

template <typename T>
auto Field(T fc_ticket::*member) {
  return [member](const Ticket& ticket) { return ticket.fields.*member; };
}

}  // namespace

void AddRoute(py::module_& module, EngineClass& engine) {
  py::class_<Ticket>(module, "Ticket", "An open route: where to connect, until it is ended.", Plain())
      .def_property_readonly("id", Field(&fc_ticket::id))
      .def_property_readonly("reason", Field(&fc_ticket::reason))
      .def_property_readonly("attempt", Field(&fc_ticket::attempt))
      .def_property_readonly("endpoint", Field(&fc_ticket::endpoint))
      .def_property_readonly("epoch", Field(&fc_ticket::epoch))
      .def_property_readonly("lookup_ns", Field(&fc_ticket::lookup_ns))
      .def_property_readonly("probe_ns", Field(&fc_ticket::probe_ns))
      .def_property_readonly("swap_ns", Field(&fc_ticket::swap_ns))
      .def_property_readonly("start_ns", Field(&fc_ticket::start_ns))
      .def_property_readonly("queue_ns", Field(&fc_ticket::queue_ns))
      .def_property_readonly("address", [](const Ticket& ticket) { return ToPython(ticket.address); })
      .def_property_readonly("family", [](const Ticket& ticket) { return ticket.address.storage.ss_family; })
      .def_readonly("container", &Ticket::container)
      .def_readonly("host", &Ticket::host)
      .def_property_readonly("open", &Ticket::open)
      .def("alive", &Ticket::Alive)
      .def("end", &Ticket::End, py::arg("outcome") = FC_OUTCOME_OK, py::arg("bytes_sent") = 0,
           py::arg("bytes_received") = 0, py::arg("duration_ns") = 0);
  engine.def("route", &Route, py::arg("key"), py::arg("callback"), py::arg("wait_ns") = 0,
             py::arg("stream") = false, py::arg("on_lost") = py::none());
  module.def("retry", &Retry, py::arg("ticket"), py::arg("callback"), py::arg("outcome"),
             py::arg("bytes_written"), py::arg("idempotent"), py::arg("body_held"), py::arg("response_begun"),
             py::arg("wait_ns") = 0, py::arg("stream") = false, py::arg("on_lost") = py::none());
}

}  // namespace fastcontainer::python
