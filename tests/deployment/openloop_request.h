// One request of the open loop: connect, write, read the answer, perhaps keep the connection.
#ifndef FASTCONTAINER_TESTS_DEPLOYMENT_OPENLOOP_REQUEST_H_
#define FASTCONTAINER_TESTS_DEPLOYMENT_OPENLOOP_REQUEST_H_

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>

namespace openloop {

using Nanos = int64_t;
inline constexpr Nanos kSecond = 1'000'000'000;
Nanos Now();  // CLOCK_MONOTONIC

struct Options {
  double rate = 100;
  double seconds = 10;
  std::string host;
  std::string method = "GET";
  std::string path = "/";
  bool keep_alive = false;
  Nanos timeout = 30 * kSecond;
  uint64_t max_open = 10'000;
  sockaddr_storage address{};
  socklen_t address_length = 0;

  bool SetAddress(const std::string& address, const std::string& port);
};

class Request {
 public:
  Request(int loop, uint64_t index, const Options& options) : loop_(loop), index_(index), options_(options) {}
  ~Request() { Close(); }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  // Both true if the request has ended; outcome() then is "200" or what went wrong.
  bool Start(uint64_t number, Nanos due);
  bool OnReady(uint32_t events);
  void GiveUp(const char* why);

  bool busy() const { return busy_; }
  uint64_t number() const { return number_; }
  Nanos due() const { return due_; }
  const std::string& outcome() const { return outcome_; }

 private:
  bool Connect();
  bool Write();
  bool Read();
  bool Broken(const std::string& how);
  // Looks at what has come: true if the answer is complete.
  bool Complete(bool closed);
  bool End(const std::string& outcome, bool keep);
  void Close();

  int loop_;
  uint64_t index_;
  const Options& options_;
  int socket_ = -1;
  bool busy_ = false;
  bool reused_ = false;
  uint64_t number_ = 0;
  Nanos due_ = 0;
  std::string outcome_;
  std::string out_;
  size_t written_ = 0;
  std::string in_;
};

}  // namespace openloop

#endif  // FASTCONTAINER_TESTS_DEPLOYMENT_OPENLOOP_REQUEST_H_
