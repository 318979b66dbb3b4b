#include "agent/parser/framer.h"
