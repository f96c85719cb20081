// Every request of a load, one line each:
// number,client,due_us,sent_us,end_us,status,bytes,silence_us,reused,repeated,error. Times count from the
// load's begin; status 0 is a request without an answer, or with a wrong one, and `error` says why.
#ifndef FASTCONTAINER_BENCHMARKS_SURVIVE_LEDGER_H_
#define FASTCONTAINER_BENCHMARKS_SURVIVE_LEDGER_H_

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>

#include "tests/deployment/openloop_generator.h"

namespace survive {

using openloop::Nanos;

class Ledger : public openloop::Sink {
 public:
  explicit Ledger(FILE* file) : file_(file) {}

  void Begin(Nanos now) override;
  void Done(const openloop::Result& result) override;
  // Prints a JSON summary; latest_send_ms: how late the load itself was.
  void Finish();

 private:
  FILE* file_;
  Nanos begin_ = 0;
  Nanos latest_send_ = 0;
  uint64_t requests_ = 0;
  std::map<std::string, uint64_t> outcomes_;
};

}  // namespace survive

#endif  // FASTCONTAINER_BENCHMARKS_SURVIVE_LEDGER_H_
