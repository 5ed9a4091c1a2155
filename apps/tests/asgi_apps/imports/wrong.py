app = = None
