#include "benchmarks/survive/ledger.h"

#include <algorithm>
#include <cctype>
#include <cinttypes>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace survive {

void Ledger::Begin(Nanos now) {
  begin_ = now;
  printf("begin %" PRId64 "\n", now);
  fflush(stdout);
  fputs("number,client,due_us,sent_us,end_us,status,bytes,silence_us,reused,repeated,error\n", file_);
}

void Ledger::Done(const openloop::Result& result) {
  const bool answered = isdigit(static_cast<unsigned char>(result.outcome[0])) != 0;
  fprintf(file_,
          "%" PRIu64 ",%" PRIu64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%d,%" PRIu64 ",%" PRId64 ",%d,%d,%s\n",
          result.number, result.client, (result.due - begin_) / 1000, (result.sent - begin_) / 1000,
          (result.end - begin_) / 1000, answered ? atoi(result.outcome.c_str()) : 0, result.bytes,
          result.silence / 1000, result.reused ? 1 : 0, result.repeated ? 1 : 0,
          answered ? "" : result.outcome.c_str());
  ++requests_;
  ++outcomes_[result.outcome];
  latest_send_ = std::max(latest_send_, result.sent - result.due);
}

void Ledger::Finish() {
  const nlohmann::ordered_json summary = {{"requests", requests_},
                                          {"latest_send_ms", static_cast<double>(latest_send_) / 1e6},
                                          {"outcomes", outcomes_}};
  puts(summary.dump().c_str());
}

}  // namespace survive
