// Whether a container still listens: one TCP connect, which is closed at once.
#ifndef FASTCONTAINER_LIB_DISPATCHER_CHECK_H_
#define FASTCONTAINER_LIB_DISPATCHER_CHECK_H_

#include <cstdint>
#include <map>

#include "absl/functional/any_invocable.h"
#include "fastcontainer/address.h"
#include "fastcontainer/reactor.h"

namespace fastcontainer {

class ListenCheck {
 public:
  using Callback = absl::AnyInvocable<void(bool listens)>;

  explicit ListenCheck(Reactor& reactor) : reactor_(reactor) {}
  // The callbacks of what is in progress never run.
  ~ListenCheck();
  ListenCheck(const ListenCheck&) = delete;
  ListenCheck& operator=(const ListenCheck&) = delete;

  // The callback runs once, later. False only if the connection was refused: a full backlog or a busy machine
  // is silent, and load is never taken for death.
  void Start(const Address& address, Nanos deadline, Callback callback);

 private:
  struct Attempt {
    Callback callback;
    Reactor::TimerId timer = 0;
  };
  void Finish(int fd, bool listens);

  Reactor& reactor_;
  std::map<int, Attempt> attempts_;  // by descriptor, or by a negative number where there is none
  int no_descriptor_ = 0;
};

// True unless something listens on the address already.
bool PortIsFree(const Address& address);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCHER_CHECK_H_
