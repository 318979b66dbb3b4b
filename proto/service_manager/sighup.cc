#include "proto/service_manager/sighup.h"

#include <signal.h>

namespace mxtally {
namespace {

void MaskSighup(int how) {
  sigset_t hangup;
  sigemptyset(&hangup);
  sigaddset(&hangup, SIGHUP);
  pthread_sigmask(how, &hangup, nullptr);
}

}  // namespace

void HoldSighup() { MaskSighup(SIG_BLOCK); }
void ReleaseSighup() { MaskSighup(SIG_UNBLOCK); }

}  // namespace mxtally
