from fastapi import FastAPI
from datetime import datetime

app = FastAPI()


@app.get("/time")
async def time():
    today = datetime.today()
    return {"month": today.month, "day": today.day, "time": str(today.time())}
