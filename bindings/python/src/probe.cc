// Verdicts on hosts by an engine, and one verdict for scripts.
#include <string>

#include "bindings/python/src/module.h"
#include "bindings/python/src/prober.h"

namespace fastcontainer::python {
namespace {

void OnProbe(void* user_data, const fc_probe_result* result) {
  InPython("fastcontainer probe", [&] {
    auto* const call = static_cast<Call*>(user_data);
    const std::unique_ptr<Call> owned = call->state->Finish(call);
    owned->callback(py::none(), ToPython(*result));
  });
}

fc_op Probe(EngineState& state, const std::string& host, int port, const py::dict& given,
            py::object callback) {
  const ProbeOptions options(given);
  const Address address = ParseAddress(host, port);
  return state.Begin(std::move(callback), [&](fc_engine* engine, fc_op* op, Call* call) {
    return fc_probe(engine, address.get(), address.length, &options.fields, op, &OnProbe, call);
  });
}

py::tuple ProbeOnce(const std::string& host, int port, const py::dict& given) {
  const ProbeOptions options(given);
  const Address address = ParseAddress(host, port);
  fc_probe_result result{};
  result.struct_size = sizeof(result);
  fc_error error = FC_ERROR_INIT;
  int32_t code;
  {
    const py::gil_scoped_release release;
    code = fc_probe_once(address.get(), address.length, &options.fields, &result, &error);
  }
  if (code != FC_OK) Raise(code, &error);
  return ToPython(result);
}

}  // namespace

ProbeOptions::ProbeOptions(const py::dict& given) {
  fc_probe_options_init(&fields);
  const auto number = [&given](const char* name, auto* to) {
    if (given.contains(name)) *to = given[name].cast<std::remove_pointer_t<decltype(to)>>();
  };
  number("flags", &fields.flags);
  number("deadline_ns", &fields.deadline_ns);
  number("deadline_max_ns", &fields.deadline_max_ns);
  number("freshness_ns", &fields.freshness_ns);
  number("interface_index", &fields.interface_index);
  number("mechanism", &fields.mechanism);
  number("size", &fields.size);
  number("dscp", &fields.dscp);
  number("ttl", &fields.ttl);
  if (given.contains("hedge_ns")) {
    const auto hedges = given["hedge_ns"].cast<py::tuple>();
    if (hedges.size() > 2) throw py::value_error("at most two hedges");
    for (size_t i = 0; i < 2; ++i) fields.hedge_ns[i] = i < hedges.size() ? hedges[i].cast<uint64_t>() : 0;
  }
  if (given.contains("source")) {
    const auto text = given["source"].cast<py::tuple>();
    source = ParseAddress(text[0].cast<std::string>(), text[1].cast<int>());
    fields.source = source.get();
    fields.source_length = source.length;
  }
}

py::tuple ToPython(const fc_probe_result& result) {
  return py::make_tuple(result.verdict, result.mechanism, result.packets, result.error, result.icmp_type,
                        result.icmp_code, result.shared != 0, result.rtt_ns, result.user_rtt_ns,
                        result.stall_ns, result.deadline_ns);
}

void AddProbe(py::module_& module, EngineClass& engine) {
  engine.def("probe", &Probe, py::arg("host"), py::arg("port"), py::arg("options"), py::arg("callback"));
  module.def("probe_once", &ProbeOnce, py::arg("host"), py::arg("port"), py::arg("options"));
  AddProber(module);
}

}  // namespace fastcontainer::python
