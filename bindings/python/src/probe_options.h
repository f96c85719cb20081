// fc_probe_options from a dict with the same names, and fc_probe_result as a tuple.
#ifndef FASTCONTAINER_BINDINGS_PYTHON_SRC_PROBE_OPTIONS_H_
#define FASTCONTAINER_BINDINGS_PYTHON_SRC_PROBE_OPTIONS_H_

#include "bindings/python/src/address.h"
#include "bindings/python/src/state.h"

namespace fastcontainer::python {

struct ProbeOptions {
  explicit ProbeOptions(const py::dict& given);
  ProbeOptions(const ProbeOptions&) = delete;
  ProbeOptions& operator=(const ProbeOptions&) = delete;

  fc_probe_options fields{};
  Address source;
};

// (verdict, mechanism, packets, error, icmp_type, icmp_code, shared, rtt_ns, user_rtt_ns, stall_ns,
// deadline_ns)
py::tuple ToPython(const fc_probe_result& result);

}  // namespace fastcontainer::python

#endif  // FASTCONTAINER_BINDINGS_PYTHON_SRC_PROBE_OPTIONS_H_
