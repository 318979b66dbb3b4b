#include "agent/source/log_follower.h"
