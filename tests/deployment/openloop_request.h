// One request of a load: connect, write, read the answer, perhaps keep the connection.
#ifndef FASTCONTAINER_TESTS_DEPLOYMENT_OPENLOOP_REQUEST_H_
#define FASTCONTAINER_TESTS_DEPLOYMENT_OPENLOOP_REQUEST_H_

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>

#include "tests/deployment/openloop_response.h"

namespace openloop {

using Nanos = int64_t;
inline constexpr Nanos kSecond = 1'000'000'000;
Nanos Now();  // CLOCK_MONOTONIC

struct Options {
  double rate = 100;
  uint64_t clients = 0;  // a closed loop of so many, and no rate
  double seconds = 10;
  std::string host;
  std::string method = "GET";
  std::string path = "/";  // {n} stands for the request's number
  std::string body;        // the same holds there
  std::string body_type = "application/octet-stream";
  bool numbered = false;  // there is a {n}
  bool keep_alive = false;
  Nanos timeout = 30 * kSecond;
  uint64_t max_open = 10'000;
  bool check_body = false;  // each answer has the next two
  uint64_t expect_bytes = 0;
  uint64_t expect_digest = 0;  // XXH3, 64 bits
  sockaddr_storage address{};
  socklen_t address_length = 0;

  bool SetAddress(const std::string& address, const std::string& port);
  // http://ADDRESS:PORT/PATH, ADDRESS numeric.
  bool SetUrl(const std::string& url);
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
  uint64_t index() const { return index_; }
  uint64_t number() const { return number_; }
  Nanos due() const { return due_; }
  Nanos sent() const { return sent_; }
  const std::string& outcome() const { return outcome_; }
  uint64_t body_bytes() const { return in_.body_bytes(); }
  // The longest time without a byte of the answer.
  Nanos silence() const { return silence_; }
  // On a connection that had carried another; and whether that had been closed, so that it was sent again.
  bool reused() const { return reused_; }
  bool repeated() const { return repeated_; }

 private:
  // The text with the request's number where it belongs.
  std::string Numbered(const std::string& text) const;
  void Heard();
  void Compose();
  bool Connect();
  bool Write();
  bool Read();
  bool Broken(const std::string& how);
  bool Complete();
  bool End(const std::string& outcome, bool keep);
  void Close();

  int loop_;
  uint64_t index_;
  const Options& options_;
  int socket_ = -1;
  bool busy_ = false;
  bool reused_ = false;
  bool repeated_ = false;
  uint64_t number_ = 0;
  Nanos due_ = 0;
  Nanos sent_ = 0;
  Nanos heard_ = 0;
  Nanos silence_ = 0;
  std::string outcome_;
  std::string out_;
  size_t written_ = 0;
  Response in_;
};

}  // namespace openloop

#endif  // FASTCONTAINER_TESTS_DEPLOYMENT_OPENLOOP_REQUEST_H_
