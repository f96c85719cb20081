// Sends requests, on a schedule or as so many clients who each wait for their answer, and tells of each how
// it went.
#ifndef FASTCONTAINER_TESTS_DEPLOYMENT_OPENLOOP_GENERATOR_H_
#define FASTCONTAINER_TESTS_DEPLOYMENT_OPENLOOP_GENERATOR_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/deployment/openloop_request.h"

namespace openloop {

struct Result {
  uint64_t number = 0;
  uint64_t client = 0;
  Nanos due = 0, sent = 0, end = 0;
  std::string outcome;  // "200", or what went wrong
  uint64_t bytes = 0;
  Nanos silence = 0;  // the longest without a byte of the answer
  bool reused = false, repeated = false;

  bool succeeded() const { return outcome[0] == '2' || outcome[0] == '3'; }
};

class Sink {
 public:
  virtual ~Sink() = default;
  virtual void Begin(Nanos now) = 0;
  virtual void Done(const Result& result) = 0;
  virtual void Tick(Nanos) {}
};

// SIGPIPE ignored, as many files as are allowed.
void PrepareProcess();

class Generator {
 public:
  // Of a closed loop, a client whose request failed comes again after this.
  static constexpr Nanos kAfterFailure = kSecond / 10;

  Generator(Options options, Sink* sink);
  ~Generator();
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  void Run();

 private:
  // Sends what is due; when the next is.
  Nanos SendScheduled(Nanos now);
  Nanos SendClients(Nanos now);
  void Send(Request* request, Nanos due);
  Request* IdleRequest();
  void Finish(Request* request);
  void Refuse(Nanos due);
  void Wait(Nanos until);
  void Expire();

  const Options options_;
  Sink* sink_;
  int loop_;
  Nanos begin_ = 0, end_ = 0;
  uint64_t total_ = 0;
  uint64_t sent_ = 0;
  uint64_t open_ = 0;
  std::vector<std::unique_ptr<Request>> requests_;
  std::vector<Request*> idle_requests_;
  // Clients and when each comes again: those at once, those after a failure.
  std::deque<std::pair<Nanos, Request*>> ready_, later_;
  Nanos next_expiry_ = 0;
};

}  // namespace openloop

#endif  // FASTCONTAINER_TESTS_DEPLOYMENT_OPENLOOP_GENERATOR_H_
