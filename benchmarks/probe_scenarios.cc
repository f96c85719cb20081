// Runs one scenario of the prober in a network of its own and prints what it has found as JSON.
#include "benchmarks/probe_scenarios.h"

#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

#include "benchmarks/probe_lab.h"

namespace {

using Scenario = void (*)(const Arguments&, Report*);
const std::map<std::string, Scenario> kScenarios = {
    {"overshoot", Overshoot}, {"hogs", Hogs},     {"delays", Delays}, {"mass", Mass},
    {"callers", Callers},     {"floods", Floods}, {"target", Target}};

}  // namespace

int main(int argc, char** argv) {
  const auto scenario = kScenarios.find(argc > 1 ? argv[1] : "");
  Arguments arguments;
  for (int i = 2; i + 1 < argc; i += 2)
    if (std::strncmp(argv[i], "--", 2) == 0) arguments[argv[i] + 2] = argv[i + 1];
  if (scenario == kScenarios.end() || static_cast<size_t>(argc) != 2 + 2 * arguments.size()) {
    std::fputs("usage: benchmark_probe_scenarios SCENARIO [--OPTION VALUE]...\nScenarios:", stderr);
    for (const auto& [name, unused] : kScenarios) std::fprintf(stderr, " %s", name.c_str());
    std::fputs("\n", stderr);
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Report report;
  const std::string problem = scenario->first == "target" ? "" : lab::Open();
  if (problem.empty()) {
    scenario->second(arguments, &report);
  } else {
    report.Skip(problem);
  }
  report.Print();
  return 0;
}
