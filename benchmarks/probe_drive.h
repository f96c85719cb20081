// The prober as a program with an event loop drives it, and what a scenario prints.
#ifndef FASTCONTAINER_BENCHMARKS_PROBE_DRIVE_H_
#define FASTCONTAINER_BENCHMARKS_PROBE_DRIVE_H_

#include <fastcontainer.h>
#include <netinet/in.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

// Figures by name, printed as one JSON object.
class Report {
 public:
  void Add(const std::string& name, double value) { figures_[name] = value; }
  // Why there are none.
  void Skip(const std::string& why) { skipped_ = why; }
  void Print() const;

 private:
  std::map<std::string, double> figures_;
  std::string skipped_;
};

// `share` of the values, which are put into order, are not greater: 0.5 is the median.
int64_t Percentile(std::vector<int64_t>* values, double share);

class Prober {
 public:
  // `mechanism`: FC_PROBE_. Not ok() if it is not permitted.
  explicit Prober(uint32_t mechanism = FC_PROBE_NONE);
  ~Prober() { fc_prober_destroy(prober_); }
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  bool ok() const { return prober_ != nullptr; }
  const char* problem() const { return error_.message; }
  fc_prober* get() const { return prober_; }

  // One verdict, waited for as an event loop waits.
  fc_probe_result Ask(const sockaddr_in& to, const fc_probe_options& options);
  // Sleeps until the prober has something to do, at most until `limit` (CLOCK_MONOTONIC ns), and lets it.
  void Turn(int64_t limit = INT64_MAX);

 private:
  fc_error error_ = FC_ERROR_INIT;
  fc_prober* prober_ = nullptr;
};

// Defaults but for the deadline and the hedges (0: none).
fc_probe_options Options(int64_t deadline, int64_t hedge = 0, int64_t second_hedge = 0);

// A scenario takes its options from the command line and reports; it returns the exit code.
using Arguments = std::map<std::string, std::string>;  // "--probes 100" is probes: 100
int64_t Number(const Arguments& arguments, const std::string& name, int64_t otherwise);

#endif  // FASTCONTAINER_BENCHMARKS_PROBE_DRIVE_H_
